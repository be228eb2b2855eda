import { Section } from "../shell/Section";
import { texts } from "../texts";
import { Table } from "./Table";
import { useQuotas } from "./useKeeping";

const number = new Intl.NumberFormat("en");
const bytes = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const EVERYBODY_ELSE = "*";

/** How much tenants keep, beside what they may. */
export function Quotas({ may }: { may: boolean }) {
  const quotas = useQuotas(may).data;
  if (!quotas) return null;
  const columns = texts.health.columns;
  return (
    <Section title={texts.health.quotas}>
      {quotas.length === 0 ? (
        <p className="text-small text-soft">{texts.health.quotasNone}</p>
      ) : (
        <Table
          label={texts.health.quotas}
          columns={[columns.tenant, columns.pictures, columns.bytes]}
          rows={quotas.map((one) => {
            const kept = one.tenant !== EVERYBODY_ELSE;
            return [
              kept ? <bdi key="tenant">{one.tenant}</bdi> : texts.health.others,
              <Kept key="pictures" used={kept ? one.pictures : undefined} limit={one.max_pictures} shown={number.format} />,
              <Kept key="bytes" used={kept ? one.bytes : undefined} limit={one.max_bytes} shown={(value) => `${bytes.format(value)}B`} />,
            ];
          })}
        />
      )}
    </Section>
  );
}

/** used: undefined where a limit is of many tenants. limit: null where there is none. */
function Kept({ used, limit, shown }: { used: number | undefined; limit: number | null; shown: (value: number) => string }) {
  const most = limit === null ? texts.health.noLimit : shown(limit);
  if (used === undefined) return most;
  const full = limit === null ? 0 : limit === 0 ? 1 : Math.min(1, used / limit);
  return (
    <span className="flex min-w-36 flex-col gap-1">
      <bdi>{texts.health.used(shown(used), most)}</bdi>
      <span aria-hidden="true" className={`h-1 rounded-full ${limit === null ? "" : "bg-line"}`}>
        <span className={`block h-full rounded-full ${full < 1 ? "bg-soft" : "bg-bad"}`} style={{ width: `${100 * full}%` }} />
      </span>
    </span>
  );
}
