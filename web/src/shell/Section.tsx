import type { ReactNode } from "react";

/** A part of a view under its title. */
export function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="flex min-w-0 flex-col gap-3">
      <h2 className="text-lead">{title}</h2>
      {children}
    </section>
  );
}
