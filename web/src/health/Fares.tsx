import { Section } from "../shell/Section";
import { texts } from "../texts";
import { Table } from "./Table";
import { useInsights } from "./useKeeping";

const number = new Intl.NumberFormat("en");
const share = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const seconds = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

/** How searches fared this week, by day and index, the newest first. */
export function Fares({ may }: { may: boolean }) {
  const told = useInsights(may).data;
  if (!told) return null;
  const columns = texts.health.columns;
  const days = [...told.insights].sort((one, other) => other.day.localeCompare(one.day) || one.index.localeCompare(other.index));
  return (
    <Section title={texts.health.insights}>
      {days.length === 0 ? (
        <p className="text-small text-soft">{texts.health.insightsNone}</p>
      ) : (
        <Table
          label={texts.health.insights}
          columns={[columns.day, columns.index, columns.searches, columns.zero, columns.clicked, columns.toClick]}
          figures={[2, 3, 4, 5]}
          rows={days.map((one) => [
            one.day,
            <bdi key="index">{one.index}</bdi>,
            number.format(one.searches),
            share.format(one.zero_hit_rate),
            share.format(one.ctr),
            one.median_seconds_to_click === null ? "–" : seconds.format(one.median_seconds_to_click),
          ])}
        />
      )}
      {told.sampled < 1 && <p className="text-small text-soft">{texts.health.sampled(share.format(told.sampled))}</p>}
    </Section>
  );
}
