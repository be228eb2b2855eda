import { useMay, useSession } from "../api/session";
import type { Picture } from "../api/types";
import { texts } from "../texts";

/** Who sees the picture; whoever owns it, and an administrator, may change that. */
export function Private({ picture, onChange }: { picture: Picture; onChange: (is: boolean) => void }) {
  const name = useSession()?.name;
  const administers = useMay("tenant-admin");
  const owns = useMay("write") && picture.owner !== "" && picture.owner === name;
  const is = picture.private ?? false;
  if (!administers && !owns && !is) return null;
  return (
    <label className="flex items-center gap-2 text-small">
      <input type="checkbox" className="size-4 shrink-0 accent-ink" checked={is} disabled={!administers && !owns} onChange={(event) => onChange(event.target.checked)} />
      {texts.picture.private}
      <span className="text-soft">{is ? texts.picture.privateAbout : texts.picture.publicAbout}</span>
    </label>
  );
}
