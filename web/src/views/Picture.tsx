import { Link, useNavigate, useParams, useRouter } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { isGone } from "../api/client";
import { useMay } from "../api/session";
import type { Picture as Row } from "../api/types";
import { History } from "../feedback/History";
import { Card } from "../grid/Card";
import { Grid } from "../grid/Grid";
import { Actions } from "../picture/Actions";
import { BoxCanvas } from "../picture/BoxCanvas";
import { type Box, written } from "../picture/box";
import { Copies } from "../picture/Copies";
import { Facts } from "../picture/Facts";
import { Private } from "../picture/Private";
import { Tags } from "../picture/Tags";
import { useChange, useDelete, usePicture, useSimilar } from "../picture/usePicture";
import { nameOf } from "../search/names";
import { useSettled } from "../search/useSettled";
import { Failed } from "../shell/Failed";
import { Icon } from "../shell/Icon";
import { isTyping } from "../shell/keys";
import { texts } from "../texts";

const LIVE_MS = 120;
const BAR_PX = 8;

export function Picture() {
  const id = Number(useParams({ from: "/ui/picture/$id" }).id);
  const mayRead = useMay("read");
  const isId = Number.isSafeInteger(id) && id > 0;
  const picture = usePicture(id, isId);
  if (!isId) return <Failed title={texts.picture.absent} />;
  const again = () => void picture.refetch();
  if (isGone(picture.error)) return <Failed title={texts.picture.absent} error={picture.error} again={again} />;
  if (picture.error && !picture.data) return <Failed error={picture.error} again={again} />;
  if (!picture.data || !mayRead) return null;
  return <Shown key={id} picture={picture.data} />;
}

function Shown({ picture }: { picture: Row }) {
  const router = useRouter();
  const navigate = useNavigate();
  const mayWrite = useMay("write");
  const [box, setBox] = useState<Box | undefined>();
  const [unseen, setUnseen] = useState(false);
  const settled = useSettled(box, LIVE_MS);
  const [waited] = useState(picture.state === "pending");
  const similar = useSimilar(picture.id, settled, picture.state === "indexed", waited ? picture.receipt : undefined);
  const changing = useChange(picture.id);
  const back = () => (router.history.canGoBack() ? router.history.back() : void navigate({ to: "/", search: {} }));
  // By the time that a delete is answered somebody may be elsewhere.
  const leave = () => Number(/^\/ui\/picture\/([^/]+)$/.exec(router.state.location.pathname)?.[1]) === picture.id && back();
  const remove = useDelete(picture.id, leave, () => void navigate({ to: "/ui/picture/$id", params: { id: String(picture.id) } }));
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !isTyping(event.target) && !document.querySelector("[role=dialog]")) back();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });
  const name = nameOf(picture);
  const hits = similar.data?.results ?? [];
  return (
    <article className="grid gap-8 px-4 pt-3 pb-10 sm:px-6 lg:grid-cols-[minmax(0,1.15fr)_minmax(0,1fr)]">
      <div className="flex min-w-0 flex-col gap-5">
        <div className="flex items-center gap-2">
          <button type="button" className="button button-bare" onClick={back} aria-label={texts.picture.back}>
            <span className="rtl:-scale-x-100">
              <Icon name="back" />
            </span>
          </button>
          <h1 className="min-w-0 flex-1 truncate text-lead">
            <bdi>{name}</bdi>
          </h1>
          <Link to="/" search={{ id: picture.id, ...(box ? { box: written(box) } : {}) }} className="button button-strong">
            {box ? texts.picture.searchPart : texts.picture.search}
          </Link>
        </div>
        <div className="flex justify-center rounded-sheet bg-sunk p-3">
          <BoxCanvas src={unseen ? picture.thumbnail_url : picture.content_url} alt={name} box={box} onChange={setBox} onError={() => setUnseen(true)} className="max-h-[68vh] [&>img]:min-h-[min(20rem,60vw)]" />
        </div>
        <p className="-mt-3 text-small text-soft">{unseen ? texts.picture.notShown : texts.asked.hint}</p>
        <Copies picture={picture} />
        {(mayWrite || picture.tags.length > 0) && (
          <section className="flex flex-col gap-2">
            <h2 className="eyebrow">{texts.picture.tags}</h2>
            <Tags tags={picture.tags} mayChange={mayWrite} onChange={(change) => changing.mutate(change)} />
          </section>
        )}
        <Private picture={picture} onChange={(is) => changing.mutate({ private: is })} />
        <section className="flex flex-col gap-2">
          <h2 className="eyebrow">{texts.picture.about}</h2>
          <Facts picture={picture} />
        </section>
        <History id={picture.id} />
        <Actions picture={picture} onDelete={mayWrite ? () => remove.isPending || remove.mutate() : undefined} />
      </div>
      <section className="flex min-w-0 flex-col gap-3" aria-busy={similar.isFetching}>
        <h2 className="flex min-h-9 items-center text-lead">{box ? texts.picture.similarPart : texts.picture.similar}</h2>
        {similar.error ? (
          <Failed error={similar.error} again={() => void similar.refetch()} />
        ) : (
          <Grid tiles={hits} label={texts.picture.similar} below={BAR_PX}>
            {(hit, _, focusable) => <Card id={hit.id} name={nameOf(hit)} thumbnail={hit.thumbnail_url} score={hit.score} focusable={focusable} />}
          </Grid>
        )}
      </section>
    </article>
  );
}
