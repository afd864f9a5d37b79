"use strict";
/* Sorts and filters the table of a library. */
(() => {
  document.documentElement.classList.add("js");
  const table = document.getElementById("library"), body = table.tBodies[0];
  const rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const search = document.getElementById("search"), shown = document.getElementById("shown");
  const selects = [...document.querySelectorAll(".filters select")];
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;

  function sort(column) {
    const head = heads[column], numeric = head.dataset.kind === "number";
    const down = head.ariaSort === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.ariaSort = down ? "descending" : "ascending";
    const compare = (a, b) => {
      const one = value(a, column), two = value(b, column);
      if (one === "" || two === "") return (one === "") - (two === "");  // what is empty comes last
      const order = numeric ? one - two : one.localeCompare(two, undefined, { numeric: true });
      return down ? -order : order;
    };
    body.append(...rows.sort(compare));
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = (row.dataset.text || row.textContent).toLowerCase();
      const fits = words.every((word) => text.includes(word)) && selects.every(
        (select) => !select.value || value(row, Number(select.dataset.column)) === select.value);
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${rows.length}`;
  }

  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => sort(column)));
  search.addEventListener("input", filter);
  for (const select of selects) select.addEventListener("change", filter);
  filter();
})();
