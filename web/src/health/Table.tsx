import type { ReactNode } from "react";

/** Rows under their columns; wide ones scroll in themselves. */
export function Table({ label, columns, rows }: { label: string; columns: readonly string[]; rows: readonly (readonly ReactNode[])[] }) {
  return (
    <div className="overflow-x-auto" role="region" aria-label={label} tabIndex={0}>
      <table className="w-full text-small">
        <thead>
          <tr className="border-b border-line text-start text-soft">
            {columns.map((column) => (
              <th key={column} scope="col" className="py-1.5 pe-4 text-start font-medium whitespace-nowrap">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at} className="border-b border-line/60">
              {row.map((cell, column) => (
                <td key={column} className="py-1.5 pe-4 whitespace-nowrap figures">
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
