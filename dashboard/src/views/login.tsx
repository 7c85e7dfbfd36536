import { useState } from "preact/hooks";
import { fault, parameters, warning } from "../broker/address.ts";
import { Session } from "../broker/session.ts";

export function LoginView({ onOpen }: { onOpen: (session: Session) => void }) {
  const given = parameters(location);
  const [broker, setBroker] = useState(given.broker);
  const [prefix, setPrefix] = useState(given.prefix);
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const notice = warning(broker, location, given.isGiven && broker === given.broker);

  const login = async (event: Event) => {
    event.preventDefault();
    const wrong = fault(broker);
    if (wrong !== "") return setError(wrong);
    setBusy(true);
    setError("");
    const session = new Session({ broker, prefix, username, password });
    try {
      await session.open();
      onOpen(session);
    } catch (reason) {
      setError((reason as Error).message);
      setBusy(false);
    }
  };

  return (
    <main class="login" id="main">
      <h1><span class="logo" aria-hidden="true" />Instar</h1>
      <p>Updates of devices, as the broker knows them. Log in as you do with <code>instar</code>.</p>
      <form onSubmit={login}>
        <label for="broker">Broker</label>
        <input id="broker" name="broker" type="text" inputMode="url" required value={broker} onInput={(event) => setBroker(event.currentTarget.value.trim())} spellcheck={false} autocapitalize="off" />
        {notice !== "" && <p class="note warn">{notice}</p>}
        <label for="username">User name</label>
        <input id="username" name="username" type="text" autoComplete="username" autocapitalize="off" spellcheck={false} value={username} onInput={(event) => setUsername(event.currentTarget.value)} />
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autoComplete="current-password" value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
        <details>
          <summary>More</summary>
          <label for="prefix">Topic prefix (plugin_opt_prefix)</label>
          <input id="prefix" name="prefix" type="text" required value={prefix} onInput={(event) => setPrefix(event.currentTarget.value.trim())} spellcheck={false} autocapitalize="off" />
        </details>
        {error !== "" && <p class="note bad" role="alert">{error}</p>}
        <button type="submit" class="primary" disabled={isBusy}>{isBusy ? "connecting …" : "Log in"}</button>
      </form>
      <p class="quiet">The password stays in this page's memory, and goes when it is closed.</p>
    </main>
  );
}
