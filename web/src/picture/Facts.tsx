import type { Picture } from "../api/types";
import { texts } from "../texts";

const bytes = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const LONGEST = 2_000;

/** What is known of it. What strangers wrote is text, whatever it says. */
export function Facts({ picture }: { picture: Picture }) {
  const names = texts.picture.facts;
  const facts: [string, string][] = [
    [names.size, picture.width ? `${picture.width} × ${picture.height}` : ""],
    [names.bytes, `${bytes.format(picture.bytes)}B`],
    [names.quality, picture.quality_score === undefined ? "" : picture.quality_score.toFixed(2)],
    [names.added, moment.format(new Date(picture.created_at))],
    [names.state, texts.picture.states[picture.state] ?? picture.state],
    [names.owner, picture.owner],
    [names.source, picture.source_url],
    [names.uri, picture.uri],
    ...Object.entries(picture.attributes).map(([name, value]): [string, string] => [name.slice(0, 128), String(value)]),
    [names.sha256, picture.sha256],
  ];
  return (
    <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-5 gap-y-1.5 text-small">
      {facts.map(
        ([name, value]) =>
          value && (
            <div key={name} className="contents">
              <dt className="max-w-40 truncate text-soft">
                <bdi>{name}</bdi>
              </dt>
              <dd className="line-clamp-4 break-words figures">
                <bdi>{value.slice(0, LONGEST)}</bdi>
              </dd>
            </div>
          ),
      )}
      {picture.reason && <dd className="col-span-2 text-bad">{picture.reason.slice(0, LONGEST)}</dd>}
    </dl>
  );
}
