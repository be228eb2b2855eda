/** A search as the address bar holds it, and as the server is asked. Pure. */
import type { SearchBody } from "../api/types";
import { read, written } from "../picture/box";
import { type Chip, filterOf, readChip, writtenChip } from "./filters";

/** What /search's address says. `upload`: a picture of this browser by its sha256. weight: of words beside a picture, 0…1. groups: least mean cosine, where what is found is shown in groups. */
export type Asked = {
  text?: string;
  id?: number;
  upload?: string;
  box?: string;
  weight?: number;
  not?: number[];
  near?: "drop" | "keep";
  score?: number;
  phash?: number;
  parts?: boolean;
  groups?: number;
  filters?: string[];
};

export const EVEN = 0.5;
export const PAGE_HITS = 60;
const MAX_NOT = 8;
const NOT_WEIGHT = 0.6;
/** Who looks rather waits than asks again, on a laptop that is taking pictures in. */
const PATIENCE_MS = 6_000;

/** The address's parameters; what makes no sense is passed over. */
export function readAsked(params: URLSearchParams): Asked {
  const text = params.get("text")?.slice(0, 2_000);
  const id = Number(params.get("id"));
  const upload = params.get("upload") ?? "";
  const near = params.get("near");
  const asked: Asked = {};
  if (text) asked.text = text;
  if (Number.isSafeInteger(id) && id > 0) asked.id = id;
  else if (/^[0-9a-f]{64}$/.test(upload)) asked.upload = upload;
  const box = read(params.get("box") ?? undefined);
  if (box && (asked.id || asked.upload)) asked.box = written(box);
  const weight = fraction(params.get("weight"), 0, 1);
  if (weight !== undefined && weight !== EVEN) asked.weight = weight;
  const not = (params.get("not") ?? "").split(",").map(Number).filter((one) => Number.isSafeInteger(one) && one > 0).slice(0, MAX_NOT);
  if (not.length) asked.not = [...new Set(not)];
  if (near === "drop" || near === "keep") asked.near = near;
  const score = fraction(params.get("score"), -1, 1);
  if (score !== undefined) asked.score = score;
  const phash = params.get("phash");
  if (phash !== null && /^\d{1,2}$/.test(phash) && Number(phash) <= 64) asked.phash = Number(phash);
  if (params.get("parts") === "1") asked.parts = true;
  const groups = fraction(params.get("groups"), 0, 1);
  if (groups !== undefined) asked.groups = groups;
  const filters = params.getAll("f").filter((one) => readChip(one) !== undefined);
  if (filters.length) asked.filters = filters;
  return asked;
}

export function writeAsked(asked: Asked): URLSearchParams {
  const params = new URLSearchParams();
  if (asked.text) params.set("text", asked.text);
  if (asked.id) params.set("id", String(asked.id));
  if (asked.upload) params.set("upload", asked.upload);
  if (asked.box && hasPicture(asked)) params.set("box", asked.box);
  if (asked.weight !== undefined && asked.weight !== EVEN && asked.text && hasPicture(asked)) params.set("weight", String(asked.weight));
  if (asked.not?.length) params.set("not", asked.not.join(","));
  if (asked.near) params.set("near", asked.near);
  if (asked.score !== undefined) params.set("score", String(asked.score));
  if (asked.phash !== undefined && hasPicture(asked)) params.set("phash", String(asked.phash));
  if (asked.parts) params.set("parts", "1");
  if (asked.groups !== undefined) params.set("groups", String(asked.groups));
  for (const one of asked.filters ?? []) params.append("f", one);
  return params;
}

export function hasPicture(asked: Asked): boolean {
  return asked.id !== undefined || asked.upload !== undefined;
}

/** Whether less could be asked, so that more is found. */
export function narrows(asked: Asked): boolean {
  return Boolean(asked.filters?.length) || asked.score !== undefined || asked.phash !== undefined || asked.near === "drop";
}

/** Whether anything is sought; filters alone browse. */
export function isSearch(asked: Asked): boolean {
  return hasPicture(asked) || Boolean(asked.text);
}

export function chipsOf(asked: Asked): Chip[] {
  return (asked.filters ?? []).flatMap((one) => readChip(one) ?? []);
}

export function withChips(asked: Asked, chips: readonly Chip[]): Asked {
  return { ...asked, filters: [...new Set(chips.map(writtenChip))] };
}

export function withNot(asked: Asked, id: number): Asked {
  return { ...asked, not: [...new Set([...(asked.not ?? []), id])].slice(-MAX_NOT) };
}

type Sought = NonNullable<SearchBody["queries"]>[number];

/** Everything sought but an uploaded picture. `upload`: its embedded vector, where it is mixed with what a form cannot say. */
export function bodyOf(asked: Asked, cursor: string | undefined, upload?: { vector: number[]; space: string }): SearchBody {
  const both = hasPicture(asked) && Boolean(asked.text);
  const wordsWeight = both ? (asked.weight ?? EVEN) : 1;
  const queries: Sought[] = [];
  if (asked.id) queries.push({ image_id: asked.id, ...boxOf(asked), ...weighted(both ? 1 - wordsWeight : 1) });
  if (upload) queries.push({ vector: upload.vector, ...weighted(both ? 1 - wordsWeight : 1) });
  if (asked.text) queries.push({ text: asked.text, ...weighted(wordsWeight) });
  for (const id of asked.not ?? []) queries.push({ image_id: id, weight: -NOT_WEIGHT / (asked.not?.length ?? 1) });
  const body: SearchBody = { queries, ...optionsOf(asked, cursor) };
  if (upload) {
    body.space = upload.space;
    delete body.phash_gate;
  }
  return body;
}

/** The fields of a form beside its picture; undefined where a form cannot say it. */
export function formOf(asked: Asked, cursor: string | undefined): Record<string, string> | undefined {
  if (asked.not?.length) return undefined;
  const wordsWeight = asked.weight ?? EVEN;
  const fields: Record<string, string> = { ...boxOf(asked) };
  if (asked.text) Object.assign(fields, { text: asked.text, text_weight: String(wordsWeight), image_weight: String(1 - wordsWeight) });
  for (const [name, value] of Object.entries(optionsOf(asked, cursor)))
    fields[name] = typeof value === "object" ? JSON.stringify(value) : String(value);
  return fields;
}

function optionsOf(asked: Asked, cursor: string | undefined): Omit<SearchBody, "queries"> {
  const filter = filterOf(chipsOf(asked));
  return {
    k: PAGE_HITS,
    timeout_ms: PATIENCE_MS,
    explain: cursor === undefined,
    ...(cursor === undefined ? {} : { cursor }),
    ...(filter ? { filter } : {}),
    ...(asked.near ? { near_duplicates: asked.near } : {}),
    ...(asked.score === undefined ? {} : { score_threshold: asked.score }),
    ...(asked.phash === undefined || !hasPicture(asked) ? {} : { phash_gate: asked.phash }),
    ...(asked.parts ? { use_crops: true } : {}),
  };
}

function boxOf(asked: Asked): { bbox?: string; bbox_unit?: "fraction" } {
  return asked.box ? { bbox: asked.box, bbox_unit: "fraction" } : {};
}

const weighted = (weight: number) => (weight === 1 ? {} : { weight: Math.round(weight * 100) / 100 });

function fraction(text: string | null, least: number, most: number): number | undefined {
  if (text === null || text === "") return undefined;
  const value = Number(text);
  return value >= least && value <= most ? Math.round(value * 100) / 100 : undefined;
}
