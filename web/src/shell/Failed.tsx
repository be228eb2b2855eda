import { Link } from "@tanstack/react-router";
import { Problem } from "../api/client";
import { texts } from "../texts";

/** What went wrong, in the server's words, and the ways from there: to try again, and to the search. */
export function Failed({ title = texts.failed.title, error, again }: { title?: string; error?: unknown; again?: () => void }) {
  if (error instanceof Problem && error.signedOut) return null; // the sign-in stands over it
  return (
    <div role="alert" className="mx-auto flex max-w-lg flex-col items-start gap-3 px-6 py-12">
      <h2 className="text-lead">{title}</h2>
      {error !== undefined && (
        <p className="max-w-full break-words text-soft">
          <bdi>{error instanceof Error ? error.message.slice(0, 600) : String(error)}</bdi>
        </p>
      )}
      <div className="flex flex-wrap gap-2">
        {again && (
          <button type="button" className="button" onClick={again}>
            {texts.failed.again}
          </button>
        )}
        {location.pathname !== "/" && (
          <Link to="/" search={{}} className="button">
            {texts.failed.home}
          </Link>
        )}
      </div>
    </div>
  );
}
