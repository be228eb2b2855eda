import { useQuery } from "@tanstack/react-query";
import { type ImgHTMLAttributes, type ReactNode, useState } from "react";
import { mayPass, Problem, there } from "../api/client";

const TRIES = 3;
const LONGEST_WAIT_MS = 10_000;

type Given = Omit<ImgHTMLAttributes<HTMLImageElement>, "src" | "onError"> & { src: string; instead?: ReactNode };

/** A small picture. One that does not come is asked after: who is signed out is told so, and what passes is waited for.
 *
 * instead: shown until it comes, and for one that is gone; unset, its name for who sees none, in its place. */
export function Thumbnail({ src, instead, ...more }: Given) {
  const [failed, setFailed] = useState({ src, times: 0 });
  const times = failed.src === src ? failed.times : 0;
  const picture = <img key={times} {...more} src={src} decoding="async" onError={() => setFailed({ src, times: times + 1 })} />;
  if (times === 0) return picture;
  return (
    <OnceThere src={src} times={times} instead={instead ?? <span role="img" aria-label={more.alt} className={`block ${more.className ?? ""}`} />}>
      {picture}
    </OnceThere>
  );
}

/** times: it has failed. A browser says of an <img> neither why it failed nor when it would come. */
function OnceThere({ src, times, instead, children }: { src: string; times: number; instead: ReactNode; children: ReactNode }) {
  const { isSuccess } = useQuery({
    queryKey: ["thumbnail", src, times],
    queryFn: ({ signal }) => there(src, signal),
    enabled: times <= TRIES,
    staleTime: Infinity,
    gcTime: 0,
    retry: (_, error) => mayPass(error),
    retryDelay: (tried, error) => Math.max(1_000 * ((error instanceof Problem && error.retryAfterSeconds) || 0), Math.min(LONGEST_WAIT_MS, 400 * 2 ** tried)),
  });
  return isSuccess ? children : instead;
}
