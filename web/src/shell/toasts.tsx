import { Toast } from "radix-ui";
import { createContext, type ReactNode, useCallback, useContext, useState } from "react";

type Said = { id: number; text: string; action?: { label: string; run: () => void }; bad?: boolean };
type Say = (text: string, more?: Pick<Said, "action" | "bad">) => void;

const MOST = 4;
const SECONDS = 8;
const Context = createContext<Say>(() => undefined);
let last = 0;

/** Says something in passing, with an undo where there is one. */
export const useSay = () => useContext(Context);

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Said[]>([]);
  const say = useCallback<Say>((text, more) => setToasts((now) => [...now, { id: ++last, text, ...more }].slice(-MOST)), []);
  const close = (id: number) => setToasts((now) => now.filter((one) => one.id !== id));
  return (
    <Context value={say}>
      <Toast.Provider duration={SECONDS * 1000}>
        {children}
        {toasts.map((one) => (
          <Toast.Root
            key={one.id}
            onOpenChange={(open) => !open && close(one.id)}
            className="flex items-center gap-3 rounded-control bg-ink py-2 ps-4 pe-2 text-small text-ground shadow-lg"
          >
            <Toast.Description className="min-w-0 flex-1 break-words py-1">
              <bdi>{one.text.slice(0, 400)}</bdi>
            </Toast.Description>
            {one.action && (
              <Toast.Action altText={one.action.label} onClick={one.action.run} className="rounded-control px-3 py-1.5 font-semibold underline">
                {one.action.label}
              </Toast.Action>
            )}
          </Toast.Root>
        ))}
        <Toast.Viewport className="fixed inset-x-4 bottom-20 z-50 mx-auto flex max-w-md flex-col gap-2 sm:bottom-6" />
      </Toast.Provider>
    </Context>
  );
}
