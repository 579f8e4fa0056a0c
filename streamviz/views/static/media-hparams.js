// Hyperparameters and what they came to: a row for each rank that sent any, and for each run that is
// compared with this one.

import { SortedTable } from "./media-table.js";

/** Rows at most, of ranks and of runs: each is a question to the server. */
const MOST = 64;

/** @implements {import("./media-plain.js").Picture} */
export class HparamsPicture {
  /** @param {HTMLElement} place @param {import("./media-plain.js").Context} context */
  constructor(place, context) {
    this.context = context;
    this.table = new SortedTable(place, "hparams");
  }

  /** @param {import("./media-plain.js").Payload} shown */
  async show(shown) {
    const { payloads, shelf, runs, still } = this.context;
    const ranks = [...shelf.ranks].sort(([a], [b]) => a - b);
    const own = await Promise.all(ranks.slice(0, MOST).map(async ([rank, frames]) => {
      const body = rank === shown.rank ? shown.body : (await payloads.get(/** @type {any} */ (frames.at(-1)).number)).body;
      return { run: payloads.run, rank, body };
    }));
    const others = await Promise.all(runs.filter((run) => run !== payloads.run).slice(0, MOST).map((run) => payloads.newestOf(run, "hparams")));
    if (!still(shown.number)) return;
    const all = [...own, ...others.filter((one) => one !== null)];
    const params = union(all.map(({ body }) => body.hparams));
    const metrics = union(all.map(({ body }) => body.metrics));
    const several = others.length > 0;
    const columns = [...(several ? ["run"] : []), "rank", ...params, ...metrics.map((name) => (params.includes(name) ? `${name} (metric)` : name))];
    const rows = all.map(({ run, rank, body }) => [
      ...(several ? [run] : []), rank, ...params.map((name) => body.hparams?.[name] ?? null), ...metrics.map((name) => body.metrics?.[name] ?? null),
    ]);
    const left = ranks.length - own.length;
    this.table.show(columns, rows, left > 0 ? `${left} more ranks` : "");
  }
}

/** @param {any[]} maps @returns {string[]} */
function union(maps) {
  return [...new Set(maps.flatMap((map) => Object.keys(map ?? {})))];
}
