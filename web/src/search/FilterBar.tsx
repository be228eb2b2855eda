import { type ReactNode, useState } from "react";
import type { Hit } from "../api/types";
import { Icon } from "../shell/Icon";
import { Sheet } from "../shell/Sheet";
import { texts } from "../texts";
import { type Chip, type Field, FIELDS, readChip, suggested, writtenChip } from "./filters";

const SUGGESTIONS = 10;
const ON_A_PHONE = 4;
const TYPES: Partial<Record<Field, string>> = { after: "date", before: "date", wider: "number", taller: "number" };

/** Filters as chips: those that count, then what would narrow down, with how many of the pictures shown have it. children: what else stands in their line. */
export function FilterBar({ chips, hits, onChange, children }: { chips: readonly Chip[]; hits: readonly Pick<Hit, "tags">[]; onChange: (chips: Chip[]) => void; children?: ReactNode }) {
  const [adding, setAdding] = useState(false);
  return (
    <div role="group" aria-label={texts.filters.label} className="flex w-full min-w-0 flex-wrap items-center gap-1.5 sm:w-auto sm:flex-1">
      {chips.map((chip) => (
        <button
          key={writtenChip(chip)}
          type="button"
          className="chip border-ink bg-ink text-ground"
          aria-label={texts.filters.remove(shown(chip))}
          onClick={() => onChange(chips.filter((one) => one !== chip))}
        >
          <bdi className="max-w-48 truncate">{shown(chip)}</bdi>
          <Icon name="close" size={14} />
        </button>
      ))}
      {suggested(hits, chips, SUGGESTIONS).map(([tag, count], at) => (
        <button key={tag} type="button" className={`chip ${at < ON_A_PHONE ? "" : "max-sm:hidden"}`} onClick={() => onChange([...chips, { field: "tag", value: tag }])}>
          <bdi className="max-w-40 truncate">{tag}</bdi>
          <span className="text-tiny text-soft figures">{count}</span>
        </button>
      ))}
      <button type="button" className="chip text-soft" onClick={() => setAdding(true)}>
        <Icon name="plus" size={14} />
        {texts.filters.add}
      </button>
      {children}
      <Sheet title={texts.filters.add} open={adding} onClose={() => setAdding(false)}>
        <AddFilter
          onAdd={(chip) => {
            onChange([...chips, chip]);
            setAdding(false);
          }}
        />
      </Sheet>
    </div>
  );
}

function AddFilter({ onAdd }: { onAdd: (chip: Chip) => void }) {
  const [field, setField] = useState<Field>("tag");
  const [value, setValue] = useState("");
  const [name, setName] = useState("");
  const [not, setNot] = useState(false);
  const chip = readChip(writtenChip({ field, value: field === "private" ? "true" : value.trim(), name: name.trim(), ...(not ? { not } : {}) }));
  return (
    <form
      className="flex flex-col gap-3 text-small"
      onSubmit={(event) => {
        event.preventDefault();
        if (chip) onAdd(chip);
      }}
    >
      <label className="flex flex-col gap-1">
        {texts.filters.field}
        <select className="field" value={field} onChange={(event) => setField(event.target.value as Field)}>
          {FIELDS.map((one) => (
            <option key={one} value={one}>
              {texts.filters.names[one]}
            </option>
          ))}
        </select>
      </label>
      {field === "attr" && (
        <label className="flex flex-col gap-1">
          {texts.filters.attribute}
          <input className="field" value={name} maxLength={128} onChange={(event) => setName(event.target.value)} />
        </label>
      )}
      {field !== "private" && (
        <label className="flex flex-col gap-1">
          {texts.filters.value}
          <input className="field" dir="auto" type={TYPES[field] ?? "text"} min={1} value={value} maxLength={512} onChange={(event) => setValue(event.target.value)} />
        </label>
      )}
      <label className="flex items-center gap-2">
        <input type="checkbox" className="size-4 accent-ink" checked={not} onChange={(event) => setNot(event.target.checked)} />
        {texts.filters.not}
      </label>
      <button type="submit" className="button button-strong self-start" disabled={!chip}>
        {texts.filters.apply}
      </button>
    </form>
  );
}

function shown(chip: Chip): string {
  const said = chip.field === "tag" ? chip.value : chip.field === "attr" ? `${chip.name}: ${chip.value}` : chip.field === "private" ? texts.filters.names.private : `${texts.filters.names[chip.field]} ${chip.value}`;
  return chip.not ? `− ${said}` : said;
}
