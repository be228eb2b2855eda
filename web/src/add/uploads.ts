/** A list of files on their way to the server: a few at a time, paused, tried again, each once. No view in here. */
import { api, given, Problem } from "../api/client";
import { sha256 } from "../search/uploads";
import { multipart } from "../search/useSearch";

export type State = "waiting" | "reading" | "sending" | "added" | "known" | "twice" | "failed";
/** why: in the server's words. id: of the picture. */
export type Item = { key: number; name: string; bytes: number; file: File; state: State; why?: string; id?: number; sha256?: string };
export type Counts = { all: number; done: number; added: number; known: number; failed: number };

const AT_ONCE = 3;
const WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;
const PICTURE = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|hei[cf]|hif|avif|mpo)$/i;

/** Whether a file of a folder is worth sending; what was chosen by hand always is. */
export function looksLikePicture(file: File): boolean {
  return file.type.startsWith("image/") || PICTURE.test(file.name);
}

export class Uploads {
  paused = false;
  /** The server does not answer; it is tried again by itself. */
  away = false;
  tags = "";
  private items: Item[] = [];
  private readonly listeners = new Set<() => void>();
  private readonly seen = new Map<string, number>();
  private running = 0;
  private last = 0;
  private version = 0;

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
    const of = (...states: State[]) => this.items.filter((item) => states.includes(item.state)).length;
    const counts = { all: this.items.length, added: of("added"), known: of("known", "twice"), failed: of("failed") };
    return { ...counts, done: counts.added + counts.known + counts.failed };
  }

  get busy(): boolean {
    return this.items.some((item) => ["waiting", "reading", "sending"].includes(item.state));
  }

  add(files: readonly File[]): void {
    this.items = [...this.items, ...files.map((file): Item => ({ key: ++this.last, name: pathOf(file), bytes: file.size, file, state: "waiting" }))];
    this.changed();
    this.go();
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.changed();
    this.go();
  }

  retry(): void {
    for (const item of this.items) if (item.state === "failed") this.set(item, { state: "waiting", why: undefined });
    this.go();
  }

  clear(): void {
    this.items = this.items.filter((item) => item.state === "reading" || item.state === "sending");
    this.changed();
  }

  private go(): void {
    while (!this.paused && this.running < AT_ONCE) {
      const next = this.items.find((item) => item.state === "waiting");
      if (!next) return;
      this.running += 1;
      this.set(next, { state: "reading" });
      void this.send(next).finally(() => {
        this.running -= 1;
        this.go();
      });
    }
  }

  private async send(item: Item): Promise<void> {
    try {
      const hash = await sha256(item.file);
      const first = this.seen.get(hash);
      if (first !== undefined && first !== item.key) return this.set(item, { state: "twice", sha256: hash });
      this.seen.set(hash, item.key);
      this.set(item, { state: "sending", sha256: hash });
      const uploaded = await this.untilAnswered(item.file);
      this.set(item, { state: uploaded.duplicate ? "known" : "added", id: uploaded.id });
    } catch (error) {
      if (item.sha256) this.seen.delete(item.sha256);
      this.set(item, { state: "failed", why: error instanceof Error ? error.message : String(error) });
    }
  }

  /** A server that is away or full is waited for; the same upload twice is one picture. */
  private async untilAnswered(image: File) {
    for (let wait = WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      try {
        const uploaded = given(await api.POST("/images", multipart({ image, ...(this.tags ? { tags: this.tags } : {}) })));
        this.answered(true);
        return uploaded;
      } catch (error) {
        if (!(error instanceof Problem) || !error.passing) throw error;
        this.answered(error.status !== 0);
        await new Promise((resolve) => setTimeout(resolve, (error.retryAfterSeconds ?? 0) * 1000 || wait));
      }
    }
  }

  private answered(answered: boolean): void {
    if (this.away === !answered) return;
    this.away = !answered;
    this.changed();
  }

  private set(item: Item, change: Partial<Item>): void {
    Object.assign(item, change);
    this.changed();
  }

  private changed(): void {
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}

function pathOf(file: File): string {
  return (file.webkitRelativePath || file.name).slice(0, 300);
}
