import type { ReactNode } from "react";

/** Rows under their columns; wide ones scroll in themselves. figures: columns of numbers, which stand at the end, one under the other. */
export function Table({ label, columns, rows, figures = [] }: { label: string; columns: readonly string[]; rows: readonly (readonly ReactNode[])[]; figures?: readonly number[] }) {
  const side = (column: number) => (figures.includes(column) ? "text-end" : "text-start");
  return (
    <div className="overflow-x-auto" role="region" aria-label={label} tabIndex={0}>
      <table className="w-full text-small">
        <thead>
          <tr className="border-b border-line text-soft">
            {columns.map((name, column) => (
              <th key={name} scope="col" className={`py-1.5 pe-6 font-medium whitespace-nowrap last:pe-0 ${side(column)}`}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at} className="border-b border-line/60">
              {row.map((cell, column) => (
                <td key={column} className={`py-1.5 pe-6 align-top whitespace-nowrap figures last:pe-0 ${side(column)}`}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
