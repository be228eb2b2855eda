/** Figures as bars to one scale. */
export function Bars({ rows }: { rows: readonly { name: string; value: number; shown: string }[] }) {
  const most = Math.max(...rows.map((row) => row.value), Number.EPSILON);
  return (
    <dl className="grid grid-cols-[auto_1fr_auto] items-center gap-x-4 gap-y-2 text-small">
      {rows.map((row) => (
        <div key={row.name} className="contents">
          <dt className="text-soft">{row.name}</dt>
          <dd aria-hidden="true" className="h-2 rounded-full bg-line">
            <span className="block h-full rounded-full bg-mark" style={{ width: `${(100 * row.value) / most}%` }} />
          </dd>
          <dd className="text-end figures">
            <bdi>{row.shown}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  );
}
