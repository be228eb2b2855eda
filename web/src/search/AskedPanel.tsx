import { useState } from "react";
import { BoxCanvas } from "../picture/BoxCanvas";
import { type Box, written } from "../picture/box";
import { Thumbnail } from "../picture/Thumbnail";
import { Icon } from "../shell/Icon";
import { Slider } from "../shell/Slider";
import { texts } from "../texts";
import { type Asked, EVEN, hasPicture } from "./asked";

const MIDDLE: Box = [0.25, 0.25, 0.75, 0.75];

/** What is asked: the picture with its box, how much words weigh, and what it shall not be like. */
export function AskedPanel({
  asked,
  picture,
  box,
  onBox,
  onChange,
}: {
  asked: Asked;
  picture: string | null | undefined;
  box: Box | undefined;
  onBox: (box: Box | undefined, settled: boolean) => void;
  onChange: (asked: Asked, replace?: boolean) => void;
}) {
  const [unseen, setUnseen] = useState<string | null>();
  const shown = picture && picture !== unseen;
  return (
    <aside aria-label={texts.asked.title} className="flex flex-col gap-5 sm:flex-row sm:gap-8 lg:flex-col lg:gap-5 lg:sticky lg:top-4 lg:max-h-[calc(100dvh-2rem)] lg:w-72 lg:overflow-auto lg:pe-1">
      {hasPicture(asked) && (
        <section className="flex shrink-0 flex-col gap-2 self-start lg:w-full">
          {shown ? (
            <BoxCanvas src={picture} alt={texts.asked.picture} box={box} onChange={onBox} onError={() => setUnseen(picture)} className="max-h-[38vh] lg:max-h-80 [&>img]:min-h-44" />
          ) : (
            <div className="flex aspect-square w-full max-w-72 items-center justify-center rounded-picture bg-sunk p-6 text-center text-small text-soft">
              {picture === null ? texts.search.lost : picture ? texts.search.unseen : ""}
            </div>
          )}
          <div className="flex flex-wrap items-center gap-1 text-small">
            {box ? (
              <button type="button" className="button" onClick={() => onBox(undefined, true)}>
                {texts.asked.whole}
              </button>
            ) : shown && (
              <>
                <span className="me-auto text-soft">{texts.asked.hint}</span>
                <button type="button" className="button button-bare sr-only focus:not-sr-only" onClick={() => onBox(MIDDLE, true)}>
                  {texts.asked.middle}
                </button>
              </>
            )}
            <button
              type="button"
              className="button button-bare ms-auto"
              aria-label={texts.asked.remove}
              title={texts.asked.remove}
              onClick={() => onChange({ ...asked, id: undefined, upload: undefined, box: undefined })}
            >
              <Icon name="close" size={16} />
            </button>
          </div>
        </section>
      )}
      <div className="flex min-w-0 flex-1 flex-col gap-5 empty:hidden lg:flex-none">
        {hasPicture(asked) && asked.text && (
          <Slider
            label={texts.asked.weight}
            ends={[texts.asked.weightPicture, texts.asked.weightWords]}
            min={0}
            max={1}
            step={0.05}
            value={asked.weight ?? EVEN}
            onChange={(weight) => onChange({ ...asked, weight }, true)}
          />
        )}
        {asked.not && asked.not.length > 0 && (
          <section>
            <h2 className="eyebrow mb-2">{texts.asked.not}</h2>
            <ul className="flex flex-wrap gap-1.5">
              {asked.not.map((id) => (
                <li key={id} className="relative">
                  <Thumbnail src={`/images/${id}/thumbnail`} alt="" className="size-14 rounded-picture object-cover opacity-60" />
                  <button
                    type="button"
                    aria-label={texts.asked.notRemove(id)}
                    onClick={() => onChange({ ...asked, not: asked.not?.filter((one) => one !== id) })}
                    className="absolute inset-0 flex items-center justify-center rounded-picture text-ink"
                  >
                    <span className="rounded-full bg-raised p-0.5">
                      <Icon name="close" size={14} />
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
      </div>
    </aside>
  );
}

/** As the address has it; undefined for none. */
export const boxText = (box: Box | undefined) => box && written(box);
