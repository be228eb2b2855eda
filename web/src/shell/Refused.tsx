import { useSession } from "../api/session";
import { Failed } from "./Failed";

/** Instead of a view that the caller's role does not open; nothing until it is known who calls. */
export function Refused({ why }: { why: string }) {
  return useSession()?.signed_in ? <Failed title={why} /> : null;
}
