// The buttons of a rollout, each with a question first.
import { useState } from "preact/hooks";
import * as api from "../broker/api.ts";
import { Refusal } from "../broker/requests.ts";
import { useDesk } from "../hooks.ts";
import { actions, commandByHand, done, type Action } from "../model/actions.ts";
import type { Status } from "../model/types.ts";
import { Dialog } from "../parts/dialog.tsx";

export function ActionButtons({ status, onDone }: { status: Status; onDone: (after: Status) => void }) {
  const { session } = useDesk();
  const [open, setOpen] = useState<Action | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState("");
  const [said, setSaid] = useState("");

  const ask = (action: Action) => {
    setRefusal("");
    setSaid("");
    setOpen(action);
  };
  const act = async (action: Action) => {
    setBusy(true);
    setRefusal("");
    try {
      const after = await api.act(session, status.rollout, action);
      setSaid(done(action, status, after));
      setOpen(null);
      onDone(after);
    } catch (error) {
      setRefusal(error instanceof Refusal ? `The broker refuses it: ${error.message}` : (error as Error).message);
    } finally {
      setBusy(false);
    }
  };

  const there = actions(status);
  const byHand = commandByHand(status);
  return (
    <>
      {there.length > 0 && (
        <div class="buttons actions" role="group" aria-label="What can be done">
          {there.map((action, at) => (
            <button key={action.verb} type="button" class={action.isGrave ? "grave-quiet" : action.isNext && at === 0 ? "primary" : ""} onClick={() => ask(action)}>{action.label}</button>))}
        </div>)}
      {byHand !== "" && <p class="note warn">This release asks for a signed approval, and this page holds no keys. Where the keys are: <code>{byHand}</code></p>}
      <p role="status" class={said === "" ? "said empty-said" : "said note good"}>{said}</p>
      {open !== null && (
        <Dialog title={`${open.label}: ${status.product} ${status.release}?`} yes={open.label} isGrave={open.isGrave} isBusy={isBusy} onYes={() => void act(open)} onNo={() => setOpen(null)}>
          <ul>{open.does.map((line) => <li key={line}>{line}</li>)}</ul>
          <p class="quiet">For {status.groups.join(", ")}. The same as {open.words.map((word, at) => <>{at > 0 && " and "}<code>instar rollout {word} {status.rollout}</code></>)}; your name goes into its history.</p>
          {refusal !== "" && <p class="note bad" role="alert">{refusal}</p>}
        </Dialog>)}
    </>
  );
}
