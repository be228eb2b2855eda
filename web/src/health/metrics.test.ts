import { describe, expect, it } from "vitest";
import { meansSince, totals } from "./metrics";

const TEXT = `# HELP omma_search_stage_seconds Stages
omma_search_stage_seconds_bucket{stage="embed",le="0.01"} 3.0
omma_search_stage_seconds_count{stage="embed"} 4.0
omma_search_stage_seconds_sum{stage="embed"} 0.08
omma_search_stage_seconds_count{stage="merge"} 0.0
omma_search_stage_seconds_sum{stage="merge"} 0.0
omma_http_request_seconds_count{method="GET",route="/search",status="200"} 2.0
omma_http_request_seconds_count{method="POST",route="/search",status="200"} 3.0
omma_http_request_seconds_sum{method="GET",route="/search",status="200"} 1e-3
`;

describe("metrics", () => {
  it("are summed by a label", () => {
    expect(totals(TEXT, "omma_search_stage_seconds", "stage").get("embed")).toEqual({ seconds: 0.08, count: 4 });
    expect(totals(TEXT, "omma_http_request_seconds", "route").get("/search")).toEqual({ seconds: 0.001, count: 5 });
  });

  it("give means of what came lately, and start over with the server", () => {
    const now = totals(TEXT, "omma_search_stage_seconds", "stage");
    expect(meansSince(undefined, now)).toEqual([["embed", 20]]);
    expect(meansSince(new Map([["embed", { seconds: 0.04, count: 3 }]]), now)).toEqual([["embed", 40]]);
    expect(meansSince(new Map([["embed", { seconds: 9, count: 900 }]]), now)).toEqual([["embed", 20]]);
  });
});
