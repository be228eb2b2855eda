/** A list of files on their way to the server: read, asked after, sent, a few at a time; paused, tried again. No view in here. */
import { Problem, signedIn } from "../api/client";
import { sha256 } from "../search/uploads";
import { idsOf, ingested, pictureTagged, putToStorage, type SaidOfAll, sent } from "./sending";

const STATES = ["waiting", "reading", "read", "asked", "ready", "sending", "stored", "ingested", "added", "known", "twice", "failed"] as const;
/** read, stored: waits until more are, so that one call is of many. ready: the server does not have it. stored: in the bucket, and no picture yet. */
export type State = (typeof STATES)[number];
/** why: in the server's words. id: of the picture. upload: its name in the bucket. */
export type Item = { key: number; name: string; bytes: number; file: File; state: State; why?: string; id?: number; sha256?: string; upload?: string };
export type Counts = { all: number; done: number; added: number; known: number; failed: number };

const AT_ONCE = 3;
const OF_A_CALL = 500;
const WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;
const TELL_MS = 60;
const PICTURE = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|hei[cf]|hif|avif|mpo)$/i;

/** Whether a file of a folder is worth sending; what was chosen by hand always is. */
export function looksLikePicture(file: File): boolean {
  return file.type.startsWith("image/") || PICTURE.test(file.name);
}

export class Uploads {
  paused = false;
  /** The server does not answer; it is tried again by itself. */
  away = false;
  said: SaidOfAll = { tags: [], private: false };
  private items: Item[] = [];
  private readonly by = new Map<State, Set<Item>>(STATES.map((state) => [state, new Set()]));
  private readonly listeners = new Set<() => void>();
  private readonly seen = new Map<string, number>();
  private storage = true;
  private last = 0;
  private version = 0;
  private telling = false;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Changes with every change. */
  snapshot = (): number => this.version;

  list(): readonly Item[] {
    return this.items;
  }

  counts(): Counts {
    const counts = { all: this.items.length, added: this.of("added").size, known: this.of("known").size + this.of("twice").size, failed: this.of("failed").size };
    return { ...counts, done: counts.added + counts.known + counts.failed };
  }

  get busy(): boolean {
    const { all, done } = this.counts();
    return done < all;
  }

  add(files: readonly File[]): void {
    const more = files.map((file): Item => ({ key: ++this.last, name: pathOf(file), bytes: file.size, file, state: "waiting" }));
    for (const item of more) this.of("waiting").add(item);
    this.items = [...this.items, ...more];
    this.changed();
    this.go();
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.changed();
    this.go();
  }

  retry(): void {
    for (const item of [...this.of("failed")]) this.move(item, "waiting", { why: undefined, upload: undefined });
    this.go();
  }

  /** What is done leaves the list. */
  clear(): void {
    for (const state of ["added", "known", "twice", "failed"] as const) this.of(state).clear();
    this.items = this.items.filter((item) => this.of(item.state).has(item));
    this.changed();
  }

  private go(): void {
    if (this.paused) return;
    this.each("waiting", "reading", (item) => this.read(item));
    this.each("ready", "sending", (item) => this.send(item));
    this.many("read", "asked", (items) => this.ask(items));
    this.many("stored", "ingested", (items) => this.ingest(items));
  }

  private each(from: State, to: State, act: (item: Item) => Promise<void>): void {
    for (const item of this.of(from)) {
      if (this.of(to).size >= AT_ONCE) return;
      this.move(item, to);
      this.run([item], act(item));
    }
  }

  /** One call of many, and the next when it was answered. */
  private many(from: State, to: State, act: (items: Item[]) => Promise<void>): void {
    if (this.of(to).size > 0) return;
    const items = [...this.of(from)].slice(0, OF_A_CALL);
    if (!items.length) return;
    for (const item of items) this.move(item, to);
    this.run(items, act(items));
  }

  private run(items: readonly Item[], acting: Promise<void>): void {
    acting
      .catch((error: unknown) => {
        for (const item of items) this.fail(item, error instanceof Error ? error.message : String(error));
      })
      .finally(() => this.go());
  }

  private async read(item: Item): Promise<void> {
    const hash = await sha256(item.file);
    const first = this.seen.get(hash);
    if (first !== undefined && first !== item.key) return this.move(item, "twice", { sha256: hash });
    this.seen.set(hash, item.key);
    this.move(item, "read", { sha256: hash });
  }

  private async ask(items: readonly Item[]): Promise<void> {
    // What everybody sees is no private picture of the same bytes: then the server tells the two apart.
    const ids = this.said.private ? {} : await this.answered(() => idsOf(items.map((item) => item.sha256!)));
    for (const item of items) this.move(item, "ready", { id: ids[item.sha256!] });
  }

  private async send(item: Item): Promise<void> {
    const { id, file } = item;
    if (id !== undefined) {
      const { tags } = this.said;
      if (tags.length) await this.answered(() => pictureTagged(id, tags));
      return this.move(item, "known");
    }
    if (this.storage) {
      const upload = await this.answered(() => putToStorage(file));
      if (upload) return this.move(item, "stored", { upload });
      this.storage = false;
    }
    const { duplicate, ...told } = await this.answered(() => sent(file, this.said));
    this.move(item, duplicate ? "known" : "added", { id: told.id });
  }

  private async ingest(items: readonly Item[]): Promise<void> {
    const uploads = items.map((item) => ({ upload: item.upload!, name: item.file.name }));
    const came = await this.answered(() => ingested(uploads, this.said));
    const ids = await this.answered(() => idsOf(items.map((item) => item.sha256!)));
    for (const item of items) {
      const { outcome, reason } = came.get(item.upload!) ?? { outcome: "failed", reason: "" };
      const id = ids[item.sha256!];
      if (outcome === "created" || outcome === "changed") this.move(item, "added", { id });
      else if (outcome === "unchanged") this.move(item, "known", { id });
      else this.fail(item, reason || outcome);
    }
  }

  /** A server that is away or full is waited for, and a key that has ended until somebody signs in; the same upload twice is one picture. */
  private async answered<T>(ask: () => Promise<T>): Promise<T> {
    for (let wait = WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      try {
        const told = await ask();
        this.tellAway(false);
        return told;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.signedOut) {
          await signedIn();
          continue;
        }
        if (!error.passing) throw error;
        this.tellAway(error.status === 0);
        await new Promise((resolve) => setTimeout(resolve, (error.retryAfterSeconds ?? 0) * 1000 || wait));
      }
    }
  }

  private tellAway(away: boolean): void {
    if (this.away === away) return;
    this.away = away;
    this.changed();
  }

  private fail(item: Item, why: string): void {
    if (item.sha256) this.seen.delete(item.sha256);
    this.move(item, "failed", { why });
  }

  private of(state: State): Set<Item> {
    return this.by.get(state)!;
  }

  private move(item: Item, state: State, change: Partial<Item> = {}): void {
    this.of(item.state).delete(item);
    Object.assign(item, change, { state });
    this.of(state).add(item);
    this.changed();
  }

  /** Thousands of changes a second are drawn a few times. */
  private changed(): void {
    if (this.telling) return;
    this.telling = true;
    setTimeout(() => {
      this.telling = false;
      this.version += 1;
      for (const listener of this.listeners) listener();
    }, TELL_MS);
  }
}

function pathOf(file: File): string {
  return (file.webkitRelativePath || file.name).slice(0, 300);
}
