import { Icon } from "../shell/Icon";
import { texts } from "../texts";
import type { Gate } from "./useRollouts";

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });

/** What has to be true before the next step, and whether it is. */
export function Gates({ gates }: { gates: readonly Gate[] }) {
  return (
    <ul className="flex flex-col divide-y divide-line text-small">
      {gates.map((gate) => (
        <li key={gate.name} className="flex items-start gap-2 py-1.5">
          <span className={gate.met ? "text-good" : "text-soft"} title={gate.met ? texts.rollouts.met : texts.rollouts.notMet}>
            <Icon name={gate.met ? "check" : "odd"} size={18} />
            <span className="sr-only">{gate.met ? texts.rollouts.met : texts.rollouts.notMet}</span>
          </span>
          <span className="min-w-0 flex-1">
            {texts.rollouts.gates[gate.name] ?? gate.name.replaceAll("_", " ")}
            <span className="block text-tiny text-soft">{texts.rollouts.needed(gate.needed)}</span>
          </span>
          <span className="figures">{gate.value === null ? texts.rollouts.unmeasured : number.format(gate.value)}</span>
        </li>
      ))}
    </ul>
  );
}
