import { Link } from "@tanstack/react-router";
import { useMay } from "../api/session";
import { texts } from "../texts";

/** Instead of pictures, where there are none, or no others than the one that is asked for. */
export function Empty({ title = texts.search.emptyTitle }: { title?: string }) {
  const mayAdd = useMay("write");
  return (
    <div role="status" className="flex flex-col items-center gap-3 py-10 text-center">
      <h2 className="text-title">{title}</h2>
      <p className="text-soft">{texts.search.emptyAbout}</p>
      {mayAdd && (
        <Link to="/ui/add" className="button button-strong">
          {texts.search.emptyAdd}
        </Link>
      )}
    </div>
  );
}
