/** Scripts of views, which come when they are opened. */
import { Problem } from "../api/client";
import { texts } from "../texts";

/**
 * What a script exports. Where the server is away that is a Problem, and the page stays as it is: it may be asked again.
 * Where it answers and the script is gone, a newer page has taken this one's place: that one is loaded, once.
 */
export async function arrived<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!(await answers())) throw new Problem(0, "network", texts.failed.network);
    const gone = `gone: ${String(error)}`;
    if (sessionStorage.getItem(gone)) throw error;
    sessionStorage.setItem(gone, "1");
    location.reload();
    return new Promise(() => undefined);
  }
}

async function answers(): Promise<boolean> {
  return fetch("/healthz", { cache: "no-store" }).then(
    (answer) => answer.ok,
    () => false,
  );
}
