import { texts } from "../texts";
import { Sheet } from "./Sheet";

export function Help({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Sheet title={texts.help.title} open={open} onClose={onClose}>
      <dl className="grid grid-cols-[auto_1fr] items-center gap-x-5 gap-y-2 text-small">
        {texts.help.keys.map(([key, does]) => (
          <div key={key} className="contents">
            <dt>
              <kbd className="rounded border border-line bg-ground px-2 py-0.5 font-sans text-tiny">{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Sheet>
  );
}
