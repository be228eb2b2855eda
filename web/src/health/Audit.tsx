import { Section } from "../shell/Section";
import { texts } from "../texts";
import { Table } from "./Table";
import { useAudit } from "./useKeeping";

const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
const LONGEST = 200;
const REFUSED = /^[45]\d\d$/;

/** Who changed what, or tried to, the newest first. */
export function Audit({ may }: { may: boolean }) {
  const found = useAudit(may);
  const changes = found.data?.pages.flatMap((page) => page.audit);
  if (!changes) return null;
  const columns = texts.health.columns;
  return (
    <Section title={texts.health.audit}>
      {changes.length === 0 ? (
        <p className="text-small text-soft">{texts.health.auditNone}</p>
      ) : (
        <Table
          label={texts.health.audit}
          columns={[columns.when, columns.who, columns.tenant, columns.call, columns.object, columns.outcome]}
          rows={changes.map((one) => [
            moment.format(new Date(one.at)),
            <bdi key="who" title={one.by.slice(0, LONGEST)} className="block max-w-48 truncate">
              {(one.name || one.by || texts.health.noKey).slice(0, LONGEST)}
            </bdi>,
            <bdi key="tenant">{one.tenant}</bdi>,
            <bdi key="call">{one.call}</bdi>,
            <bdi key="object" className="block max-w-64 truncate">
              {one.object.slice(0, LONGEST)}
            </bdi>,
            <bdi key="outcome" className={REFUSED.test(one.outcome) ? "text-bad" : ""}>
              {one.outcome}
            </bdi>,
          ])}
        />
      )}
      {found.hasNextPage && (
        <button type="button" className="button self-start" disabled={found.isFetching} onClick={() => void found.fetchNextPage()}>
          {texts.health.auditMore}
        </button>
      )}
    </Section>
  );
}
