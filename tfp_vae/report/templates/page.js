"use strict";
// Tables sort by the column whose header is pressed; what was not measured stays at the end.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent : cell.dataset.value;
  };
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y)
      ? a.localeCompare(b, document.documentElement.lang)
      : x - y;
  };
  headers.forEach((header, column) => {
    const button = header.querySelector("button");
    button.addEventListener("click", () => {
      const before = header.getAttribute("aria-sort");
      const order = before
        ? { ascending: "descending", descending: "ascending" }[before]
        : button.dataset.first;
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [row, key(row, column)]);
      rows.sort(([, a], [, b]) => (a === "") - (b === "") || (a === "" ? 0 : sign * compare(a, b)));
      body.append(...rows.map(([row]) => row));
    });
  });
}
// Paper cannot be unfolded.
const folded = () => [...document.querySelectorAll("details:not([open])")];
let opened = [];
addEventListener("beforeprint", () => {
  opened = folded();
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
});
