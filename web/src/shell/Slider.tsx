import type { CSSProperties, ReactNode } from "react";

/** A range with its label, what it is set to, and what its ends mean. */
export function Slider({
  label,
  shown,
  ends,
  value,
  onChange,
  ...range
}: {
  label: string;
  shown?: string;
  ends?: readonly [ReactNode, ReactNode];
  value: number;
  onChange: (value: number) => void;
  min: number;
  max: number;
  step: number;
}) {
  return (
    <label className="flex flex-col gap-1">
      <span className="eyebrow flex justify-between">
        <span>{label}</span>
        {shown && <span className="figures">{shown}</span>}
      </span>
      <input type="range" className="slider" style={{ "--filled": `${(100 * (value - range.min)) / (range.max - range.min)}%` } as CSSProperties} value={value} onChange={(event) => onChange(Number(event.target.value))} {...range} />
      {ends && (
        <span className="flex justify-between text-tiny text-soft">
          <span>{ends[0]}</span>
          <span>{ends[1]}</span>
        </span>
      )}
    </label>
  );
}

