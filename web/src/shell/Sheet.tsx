import { Dialog } from "radix-ui";
import { type ReactNode, useRef } from "react";
import { texts } from "../texts";
import { Icon } from "./Icon";

/** A dialog. wide: as wide as the window gives. */
export function Sheet({ title, open, onClose, children, wide = false }: { title: string; open: boolean; onClose?: () => void; children: ReactNode; wide?: boolean }) {
  const before = useRef<Element | null>(null);
  const comeBack = (event: Event) => {
    event.preventDefault(); // Radix leads back to a trigger, and a key has none
    if (before.current instanceof HTMLElement) before.current.focus();
  };
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose?.()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-black/40" />
        <Dialog.Content
          aria-describedby={undefined}
          onOpenAutoFocus={() => (before.current = document.activeElement)}
          onCloseAutoFocus={comeBack}
          className={`fixed inset-x-3 top-[12vh] z-50 mx-auto max-h-[80vh] overflow-auto rounded-sheet bg-raised p-6 shadow-xl ${wide ? "max-w-5xl" : "max-w-md"}`}
        >
          <div className="mb-4 flex items-start justify-between gap-4">
            <Dialog.Title className="text-lead">{title}</Dialog.Title>
            {onClose && (
              <Dialog.Close className="button button-bare -me-2 -mt-1" aria-label={texts.help.close}>
                <Icon name="close" />
              </Dialog.Close>
            )}
          </div>
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
