import type { Picture } from "../api/types";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";

/** Copy what names the picture, or delete it. */
export function Actions({ picture, onDelete }: { picture: Picture; onDelete: (() => void) | undefined }) {
  const say = useSay();
  const copied: readonly [string, string][] = [
    [texts.picture.copyId, String(picture.id)],
    [texts.picture.copyUri, picture.uri],
    [texts.picture.copyLink, `${location.origin}/ui/picture/${picture.id}`],
  ];
  const copy = async (text: string) => {
    const clipboard = navigator.clipboard as Clipboard | undefined; // none over plain HTTP from another machine
    if (!clipboard) return say(texts.picture.cannotCopy(text), { bad: true });
    await clipboard.writeText(text).then(
      () => say(texts.picture.copied),
      (error: Error) => say(error.message, { bad: true }),
    );
  };
  return (
    <div className="flex flex-wrap items-center gap-1.5">
      <span className="eyebrow me-1">{texts.picture.copy}</span>
      {copied.map(([name, text]) => (
        <button key={name} type="button" className="chip" onClick={() => void copy(text)}>
          {name}
        </button>
      ))}
      {onDelete && (
        <button type="button" className="chip ms-auto text-bad" onClick={onDelete}>
          {texts.picture.delete}
        </button>
      )}
    </div>
  );
}
