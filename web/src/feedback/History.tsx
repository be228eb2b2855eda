import { useMay } from "../api/session";
import { texts } from "../texts";
import { type Action, useSaid, useSayOf } from "./useFeedback";

const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const OF_ITSELF: readonly Action[] = ["anomaly", "reviewed"];

/** What was said of a picture, and two words to say of it. */
export function History({ id }: { id: number }) {
  const said = useSaid(id, useMay("read")).data ?? [];
  const mayWrite = useMay("write");
  const saying = useSayOf();
  if (!mayWrite && !said.length) return null;
  return (
    <section className="flex flex-col gap-2">
      <h2 className="eyebrow">{texts.feedback.title}</h2>
      {mayWrite && (
        <div className="flex flex-wrap gap-1.5">
          {OF_ITSELF.map((action) => (
            <button key={action} type="button" className="chip" disabled={saying.isPending} onClick={() => saying.mutate({ image_id: id, action })}>
              {texts.feedback.say[action]}
            </button>
          ))}
        </div>
      )}
      {said.length > 0 && (
        <ol aria-label={texts.feedback.title} className="flex flex-col gap-1 text-small">
          {said.map((one) => (
            <li key={one.id} className="flex flex-wrap gap-x-2">
              <span>{texts.feedback.said[one.action] ?? one.action}</span>
              <span className="text-soft">
                {one.given_by && (
                  <>
                    <bdi>{one.given_by}</bdi>{" "}
                  </>
                )}
                {moment.format(new Date(one.at))}
              </span>
              {one.note && <bdi className="w-full break-words">{one.note.slice(0, 400)}</bdi>}
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
