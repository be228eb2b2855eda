/** The calls by which files become pictures. Each throws a Problem, and may be asked again. */
import { api, given, Problem } from "../api/client";
import { isRunning } from "../jobs/useJobs";
import { multipart } from "../search/useSearch";
import { texts } from "../texts";

const LOOK_MS = 500;
const PAGE = 1_000;

export type Came = { outcome: string; reason: string };

/** Of those that the server has, by sha256. */
export async function idsOf(hashes: readonly string[]): Promise<Record<string, number>> {
  return given(await api.POST("/images/known", { body: { sha256: [...hashes] } })).known;
}

/** What is said of every file of a list. */
export type SaidOfAll = { tags: readonly string[]; private: boolean };

/** What else is said of a file: its name, which the server would not keep. Control characters are in no attribute. */
function attributesOf(name: string) {
  return { filename: name.replace(/[\u0000-\u001f]/g, "?") };
}

/** A browser says of a file that went or changed on its disk what it says of a server that is away. Throws what reading it throws, which is no Problem. */
async function stillThere(file: File): Promise<void> {
  await file.slice(0, 1).arrayBuffer();
}

/** Through the gateway. */
export async function sent(image: File, said: SaidOfAll) {
  const body = multipart({ image, attributes: JSON.stringify(attributesOf(image.name)), ...(said.tags.length ? { tags: said.tags.join(",") } : {}), ...(said.private ? { private: "true" } : {}) });
  try {
    return given(await api.POST("/images", body));
  } catch (error) {
    if (error instanceof Problem && error.status === 0) await stillThere(image);
    throw error;
  }
}

/** The picture has these tags too. */
export async function pictureTagged(id: number, tags: readonly string[]): Promise<void> {
  const path = { params: { path: { image_id: id } } };
  const known = given(await api.GET("/images/{image_id}", path)).tags;
  const all = [...new Set([...known, ...tags])];
  if (all.length > known.length) given(await api.PATCH("/images/{image_id}", { ...path, body: { tags: all } }));
}

/** Straight into the bucket; its name there. undefined where there is no bucket, where this key may not, and where the bucket does not let this page in. */
export async function putToStorage(file: File): Promise<string | undefined> {
  const told = await api.POST("/images/presign", { body: { bytes: file.size, content_type: file.type } });
  if (told.response.status === 403) return undefined;
  const { url, method, headers, upload } = given(told);
  if (new URL(url).origin === location.origin) return undefined;
  const { "Content-Length": _, ...rest } = headers; // the browser's to say
  const put = await fetch(url, { method, headers: rest, body: file, credentials: "omit", referrerPolicy: "no-referrer" }).catch(() => undefined);
  if (!put) await stillThere(file);
  if (put && !put.ok) throw new Problem(put.status, "storage", texts.add.refused(put.status));
  return put && upload;
}

/** What came of each upload in the bucket, by its name there, once the server has taken them in. uploads: those, and their files' names. */
export async function ingested(uploads: readonly { upload: string; name: string }[], said: SaidOfAll): Promise<Map<string, Came>> {
  const listed = uploads.map(({ upload, name }) => ({ upload, attributes: attributesOf(name), ...(said.tags.length ? { tags: [...said.tags] } : {}), ...(said.private ? { private: true } : {}) }));
  const { job_id } = given(await api.POST("/images/ingest", { body: { uploads: listed } }));
  const path = { job_id };
  for (;;) {
    const job = given(await api.GET("/jobs/{job_id}", { params: { path } }));
    if (job.state === "failed") throw new Problem(500, "job", job.error);
    if (!isRunning(job)) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const came = new Map<string, Came>();
  for (let cursor: string | undefined = ""; cursor !== undefined; ) {
    const page: { downloads: (Came & { place: string })[]; next_cursor?: string } = given(await api.GET("/jobs/{job_id}/downloads", { params: { path, query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } }));
    for (const one of page.downloads) came.set(one.place.replace(/^upload:/, ""), one);
    cursor = page.next_cursor;
  }
  return came;
}
