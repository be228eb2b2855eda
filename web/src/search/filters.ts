/** Filters as chips have them, as the address has them (`tag:lamp`, `-tag:lamp`, `after:2026-01-31`), and as the server does. Pure. */

export const FIELDS = ["tag", "owner", "source", "site", "after", "before", "wider", "taller", "private", "attr"] as const;
export type Field = (typeof FIELDS)[number];
/** name: of an attribute. */
export type Chip = { field: Field; value: string; name?: string; not?: boolean };

const MAX_CHIPS = 24;

export function writtenChip(chip: Chip): string {
  const value = chip.field === "attr" ? `${chip.name ?? ""}=${chip.value}` : chip.value;
  return `${chip.not ? "-" : ""}${chip.field}:${value}`;
}

/** undefined for what is no chip. */
export function readChip(text: string): Chip | undefined {
  const not = text.startsWith("-");
  const rest = not ? text.slice(1) : text;
  const at = rest.indexOf(":");
  const field = FIELDS.find((one) => one === rest.slice(0, at));
  const said = rest.slice(at + 1);
  if (at < 0 || field === undefined || said === "") return undefined;
  const chip: Chip = not ? { field, value: said, not } : { field, value: said };
  if (field === "attr") {
    const equals = said.indexOf("=");
    return equals > 0 && equals < said.length - 1 ? { ...chip, name: said.slice(0, equals), value: said.slice(equals + 1) } : undefined;
  }
  if (field === "private") return said === "true" ? chip : undefined;
  if (field === "wider" || field === "taller") return /^\d{1,6}$/.test(said) ? chip : undefined;
  if (field === "after" || field === "before") return /^\d{4}-\d\d-\d\d$/.test(said) && !Number.isNaN(Date.parse(said)) ? chip : undefined;
  return chip;
}

export function sameChip(one: Chip, other: Chip): boolean {
  return writtenChip(one) === writtenChip(other);
}

/** The server's filter; undefined without chips. Chips of one field are alternatives, fields narrow one another. */
export function filterOf(chips: readonly Chip[]): Record<string, unknown> | undefined {
  const terms: Record<string, unknown>[] = [];
  const wanted = new Map<string, (string | number | boolean)[]>();
  for (const chip of chips.slice(0, MAX_CHIPS)) {
    const [field, value] = said(chip);
    if (typeof value === "object") terms.push(chip.not ? { not: { [field]: value } } : { [field]: value });
    else if (chip.not) terms.push({ not: { [field]: value } });
    else if (chip.field === "tag") terms.push({ [field]: value });
    else wanted.set(field, [...(wanted.get(field) ?? []), value]);
  }
  for (const [field, values] of wanted) terms.push({ [field]: values.length === 1 ? values[0] : { in: values } });
  return terms.length === 0 ? undefined : terms.length === 1 ? terms[0] : { and: terms };
}

function said(chip: Chip): [string, string | number | boolean | Record<string, string | number>] {
  switch (chip.field) {
    case "tag":
      return ["tags", chip.value];
    case "site":
      return ["source_domain", chip.value];
    case "after":
      return ["created_at", { gte: chip.value }];
    case "before":
      return ["created_at", { lt: chip.value }];
    case "wider":
      return ["width", { gte: Number(chip.value) }];
    case "taller":
      return ["height", { gte: Number(chip.value) }];
    case "private":
      return ["private", true];
    case "attr":
      return [`attributes.${chip.name ?? ""}`, typed(chip.value)];
    default:
      return [chip.field, chip.value];
  }
}

/** An attribute's value by JSON's types, as filters compare it; what is quoted is a text. */
function typed(value: string): string | number | boolean {
  if (value === "true" || value === "false") return value === "true";
  if (/^-?\d+(\.\d+)?$/.test(value)) return Number(value);
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** What most often is said of these, beyond what is asked for already: to narrow down by. */
export function suggested(hits: readonly { tags?: readonly string[] }[], chips: readonly Chip[], most: number): [string, number][] {
  const counts = new Map<string, number>();
  for (const hit of hits) for (const tag of hit.tags ?? []) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  const asked = new Set(chips.filter((chip) => chip.field === "tag").map((chip) => chip.value));
  return [...counts]
    .filter(([tag, count]) => !asked.has(tag) && count < hits.length)
    .sort((one, other) => other[1] - one[1] || one[0].localeCompare(other[0]))
    .slice(0, most);
}
