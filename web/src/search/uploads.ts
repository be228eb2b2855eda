/** Pictures that were dropped to search by, kept in this browser so that going back and loading anew find them. */

const DATABASE = "omma";
const STORE = "uploads";
const MOST = 24;

/** By sha256, which is how the address names it. */
export async function keep(picture: Blob): Promise<string> {
  const name = await sha256(picture);
  await inStore("readwrite", async (store) => {
    await done(store.put({ picture, at: Date.now() }, name));
    const keys = await done(store.index("at").getAllKeys());
    for (const old of keys.slice(0, Math.max(0, keys.length - MOST))) await done(store.delete(old));
  }).catch(() => undefined); // storage may be forbidden: then it lasts as long as the page
  remembered.set(name, picture);
  return name;
}

/** undefined when it was dropped elsewhere, or long ago. */
export async function kept(name: string): Promise<Blob | undefined> {
  const known = remembered.get(name);
  if (known) return known;
  const found = await inStore("readonly", (store) => done(store.get(name))).catch(() => undefined);
  const picture = (found as { picture?: Blob } | undefined)?.picture;
  if (picture) remembered.set(name, picture);
  return picture;
}

const remembered = new Map<string, Blob>();

/** In hex. Where the page is not encrypted browsers hash nothing: then it is random, and names the picture as well. */
export async function sha256(picture: Blob): Promise<string> {
  const subtle = globalThis.crypto.subtle as SubtleCrypto | undefined;
  const bytes = subtle ? new Uint8Array(await subtle.digest("SHA-256", await picture.arrayBuffer())) : crypto.getRandomValues(new Uint8Array(32));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error(STORE));
  });
}

async function inStore<T>(mode: IDBTransactionMode, use: (store: IDBObjectStore) => Promise<T>): Promise<T> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE).createIndex("at", "at");
  const database = await done(opening);
  try {
    return await use(database.transaction(STORE, mode).objectStore(STORE));
  } finally {
    database.close();
  }
}
