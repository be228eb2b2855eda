import { useNavigate, useSearch as useAddress } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState } from "react";
import { Clusters } from "../clusters/Clusters";
import { GroupsChip } from "../clusters/GroupsChip";
import { type Box, read } from "../picture/box";
import { AskedPanel, boxText } from "../search/AskedPanel";
import { type Asked, chipsOf, hasPicture, isSearch, withChips, writeAsked } from "../search/asked";
import { FilterBar } from "../search/FilterBar";
import { Options } from "../search/Options";
import { Recent } from "../search/Recent";
import { remember } from "../search/recent";
import { Results } from "../search/Results";
import { SearchLine } from "../search/SearchLine";
import { keep } from "../search/uploads";
import { useDropped } from "../search/useDropped";
import { useSearch, useUpload } from "../search/useSearch";
import { useSettled } from "../search/useSettled";
import { Wall } from "../search/Wall";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";

const LIVE_MS = 90;

export function Search() {
  const asked: Asked = useAddress({ from: "/" });
  const navigate = useNavigate();
  const say = useSay();
  const searching = isSearch(asked);
  const change = useCallback((next: Asked, replace = false) => void navigate({ to: "/", search: next, replace }), [navigate]);

  // While a box is drawn it is here alone; the address gets it when the hand rests.
  const [drawn, setDrawn] = useState<Box | undefined>();
  const [drawing, setDrawing] = useState(false);
  const box = useMemo(() => (drawing ? drawn : read(asked.box)), [drawing, drawn, asked.box]);
  const live = useSettled(drawing ? boxText(drawn) : undefined, LIVE_MS);
  const effective = useMemo(() => (drawing && live ? { ...asked, box: live } : asked), [drawing, live, asked]);
  const onBox = (next: Box | undefined, settled: boolean) => {
    setDrawn(next);
    setDrawing(!settled);
    if (settled) change({ ...asked, box: boxText(next) });
  };

  const found = useSearch(effective);
  const upload = useUpload(asked.upload);
  const picture = asked.id ? `/images/${asked.id}/content` : upload;

  const take = useCallback(
    (file: File) => {
      if (file.type && !file.type.startsWith("image/")) return say(texts.search.notPicture, { bad: true });
      void keep(file).then((name) => change({ ...(asked.text ? { text: asked.text } : {}), ...(asked.filters ? { filters: asked.filters } : {}), upload: name }));
    },
    [asked.text, asked.filters, change, say],
  );
  const over = useDropped(take);

  const address = writeAsked(asked).toString();
  useEffect(() => {
    if (!searching) return;
    const timer = setTimeout(() => remember(address), 1_500);
    return () => clearTimeout(timer);
  }, [searching, address]);

  const hits = useMemo(() => found.data?.pages.flatMap((page) => page.results) ?? [], [found.data]);
  return (
    <div className="flex flex-col gap-5 px-4 pt-3 pb-10 sm:px-6">
      {over && <div className="pointer-events-none fixed inset-3 z-40 flex items-center justify-center rounded-sheet border-2 border-dashed border-mark bg-ground/85 text-title">{texts.search.dropHere}</div>}
      <div className={searching ? "w-full max-w-3xl lg:ps-0" : "mx-auto flex w-full max-w-2xl flex-col gap-5 pt-[7vh] pb-4 text-center"}>
        {searching ? <h1 className="sr-only">{texts.nav.search}</h1> : <h1 className="text-title sm:text-hero">{texts.search.hero}</h1>}
        <SearchLine text={asked.text ?? ""} onWords={(text) => change({ ...asked, text: text || undefined })} onPicture={take} />
        {!searching && (
          <div className="flex justify-center">
            <Recent />
          </div>
        )}
      </div>
      {searching ? (
        <div className="flex flex-col gap-6 lg:flex-row lg:items-start lg:gap-8">
          {(hasPicture(asked) || asked.not) && <AskedPanel asked={asked} picture={picture} box={box} onBox={onBox} onChange={change} />}
          <div className="flex min-w-0 flex-1 flex-col gap-3">
            <FilterBar chips={chipsOf(asked)} hits={hits} onChange={(chips) => change(withChips(asked, chips))}>
              <GroupsChip asked={asked} onChange={change} />
              <Options asked={asked} onChange={change} />
            </FilterBar>
            {asked.groups === undefined ? <Results asked={asked} found={found} hits={hits} onChange={change} /> : <Clusters asked={effective} onChange={change} />}
          </div>
        </div>
      ) : (
        <Wall asked={asked} onChange={change} />
      )}
    </div>
  );
}
