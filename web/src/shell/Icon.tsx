/** Drawn on a 20 px grid with one line; always beside words or under a label. */
const PATHS = {
  search: "M8.5 14a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11Zm4-1.5L17 17",
  picture: "M3 4.5h14v11H3zM3 13l4-4 4 4 2-2 4 4M13.5 8a.5.5 0 1 0 0-1 .5.5 0 0 0 0 1Z",
  close: "M5 5l10 10M15 5 5 15",
  plus: "M10 4v12M4 10h12",
  pulse: "M2 10h4l2-5 4 10 2-5h4",
  copies: "M7 7V3h10v10h-4M3 7h10v10H3z",
  odd: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14Zm0 3.5v4.5m0 2.5v.1",
  steps: "M3 16h4v-4h4V8h4V4h3",
  back: "M12 4l-6 6 6 6",
  more: "M4 10h.01M10 10h.01M16 10h.01",
  minus: "M4 10h12",
  info: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14Zm0 6v5m0-7.6v.1",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM10 2v2m0 12v2M2 10h2m12 0h2M4.3 4.3l1.4 1.4m8.6 8.6 1.4 1.4m0-11.4-1.4 1.4M5.7 14.3l-1.4 1.4",
  check: "M4 10.5l4 4 8-9",
  person: "M10 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM4 17c.5-3.5 3-5 6-5s5.500 1.500 6 5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" className="shrink-0">
      <path d={PATHS[name]} />
    </svg>
  );
}
