/** The server, typed by its OpenAPI document. Every failure is a Problem, in the server's words. */
import createClient from "openapi-fetch";
import { texts } from "../texts";
import type { paths } from "./openapi";
import type { Session } from "./types";

export class Problem extends Error {
  /** status 0: the server did not answer. */
  constructor(
    readonly status: number,
    readonly kind: string,
    detail: string,
    readonly field?: string,
    readonly retryAfterSeconds?: number,
  ) {
    super(detail);
  }

  /** Nobody is signed in, or somebody else is by now: another window took the cookie. */
  get signedOut(): boolean {
    return this.status === 401 || this.field === "Omma-Csrf";
  }

  /** Whether the same request may succeed later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status === 408 || this.status >= 502;
  }
}

/** Whether the same request may succeed later. */
export const mayPass = (error: unknown): boolean => error instanceof Problem && error.passing;

/** Whether the server said that it is not there; no answer says nothing of it. */
export const isGone = (error: unknown): boolean => error instanceof Problem && error.status === 404;

let token: string | undefined;
const arrivals: (() => void)[] = [];
let onSignedOut: () => void = () => undefined;

/** The session's token goes along with every write. */
export function carry(session: Session): void {
  token = session.token;
  if (!session.signed_in) return;
  for (const wake of arrivals.splice(0)) wake();
}

/** Until somebody is signed in again: for work that waits meanwhile. */
export function signedIn(): Promise<void> {
  return new Promise((resolve) => arrivals.push(resolve));
}

/** Told when an answer says that nobody is signed in. */
export function whenSignedOut(told: () => void): void {
  onSignedOut = told;
}

export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });

/** What openapi-fetch answered, or its Problem thrown. */
export function given<T>(answer: { data?: T; response: Response; error?: unknown }): T {
  if (!answer.response.ok) {
    const problem = problemOf(answer.response, answer.error);
    if (problem.signedOut) onSignedOut();
    throw problem;
  }
  return answer.data as T;
}

/** Whether a file is there for who asks; else its Problem. */
export async function there(address: string, signal: AbortSignal): Promise<true> {
  given({ response: await send(new Request(address, { method: "HEAD", signal })) });
  return true;
}

/** A file; else its Problem. */
export async function fileAt(address: string, signal: AbortSignal): Promise<Blob> {
  const response = await send(new Request(address, { signal }));
  given({ response });
  return response.blob();
}

/** A form whose fields are given; files as they are. */
export function form(fields: Record<string, string | Blob | undefined>): FormData {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) made.append(name, value);
  return made;
}

async function send(request: Request): Promise<Response> {
  if (token && request.method !== "GET" && request.method !== "HEAD") request.headers.set("Omma-Csrf", token);
  try {
    return await fetch(request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "network", texts.failed.network);
  }
}

function problemOf(response: Response, said: unknown): Problem {
  const problem = (typeof said === "object" && said !== null ? said : {}) as Record<string, unknown>;
  const after = Number(response.headers.get("retry-after"));
  return new Problem(
    response.status,
    String(problem.kind ?? "unknown"),
    String(problem.detail ?? response.statusText),
    typeof problem.field === "string" ? problem.field : undefined,
    Number.isFinite(after) && after > 0 ? after : undefined,
  );
}
