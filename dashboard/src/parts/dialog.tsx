// A question before something is done: the browser's own modal dialog, which holds the focus and closes by Escape.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

export interface DialogProps {
  title: string;
  yes: string;
  isGrave: boolean;
  isBusy: boolean;
  onYes: () => void;
  onNo: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, yes, isGrave, isBusy, onYes, onNo, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const no = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    element.current?.showModal();
    no.current?.focus();
    return () => before?.focus?.();
  }, []);
  // The browser's own would let the focus go to its address bar too.
  const hold = (event: KeyboardEvent) => {
    if (event.key !== "Tab") return;
    const all = [...(element.current?.querySelectorAll<HTMLElement>("button:not(:disabled)") ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    event.preventDefault();
    all[(at + (event.shiftKey ? all.length - 1 : 1)) % all.length]?.focus();
  };
  return (
    <dialog ref={element} onKeyDown={hold} aria-labelledby="dialog-title" onCancel={(event) => (event.preventDefault(), onNo())}>
      <h2 id="dialog-title">{title}</h2>
      {children}
      <div class="buttons">
        <button type="button" ref={no} onClick={onNo}>Cancel</button>
        <button type="button" class={isGrave ? "grave" : "primary"} disabled={isBusy} onClick={onYes}>{isBusy ? "asking the broker …" : yes}</button>
      </div>
    </dialog>
  );
}
