import { Link } from "@tanstack/react-router";
import { texts } from "../texts";
import type { Item } from "./uploads";

const SHOWN = 300;
const TONE: Partial<Record<Item["state"], string>> = { added: "text-good", failed: "text-bad" };
const ORDER: Record<Item["state"], number> = { failed: 0, ingested: 1, stored: 2, sending: 3, ready: 4, asked: 5, read: 6, reading: 7, waiting: 8, added: 9, known: 10, twice: 11 };

/** One line a file, what needs somebody first; of very many only the first few hundred. It is scrolled by itself, so that what follows is near. */
export function List({ items }: { items: readonly Item[] }) {
  const sorted = [...items].sort((one, other) => ORDER[one.state] - ORDER[other.state] || one.key - other.key).slice(0, SHOWN);
  return (
    <ul aria-label={texts.add.list} tabIndex={0} className="-mx-2 max-h-[60vh] divide-y divide-line overflow-y-auto rounded-control px-2 text-small">
      {sorted.map((item) => (
        <li key={item.key} data-state={item.state} className="flex items-baseline gap-4 py-1.5">
          <span className="min-w-0 flex-1">
            <bdi className="block truncate">
              {item.id ? (
                <Link to="/ui/picture/$id" params={{ id: String(item.id) }} className="underline decoration-line underline-offset-4 hover:decoration-soft">
                  {item.name}
                </Link>
              ) : (
                item.name
              )}
            </bdi>
            {item.why && <bdi className="block break-words text-bad">{item.why.slice(0, 400)}</bdi>}
          </span>
          <span className={`shrink-0 ${TONE[item.state] ?? "text-soft"}`}>{texts.add.states[item.state]}</span>
        </li>
      ))}
    </ul>
  );
}
