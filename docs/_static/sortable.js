// Tables of the class "sortable" are sorted by a click on a heading, or by Enter or
// Space on it. Without JavaScript they are plain tables.
const number = (text) => Number.parseFloat(text.replaceAll(",", ""));

function compare(first, second) {
  const [a, b] = [number(first), number(second)];
  if (Number.isNaN(a) || Number.isNaN(b)) {
    return first.localeCompare(second, "en", { sensitivity: "base" });
  }
  return a - b;
}

function sort(table, column, descending) {
  const body = table.tBodies[0];
  const text = (row) => row.cells[column].textContent.trim();
  const sign = descending ? -1 : 1;
  const rows = [...body.rows].sort((a, b) => {
    const missing = (text(a) === "–") - (text(b) === "–"); // always last
    return missing || sign * compare(text(a), text(b));
  });
  body.append(...rows);
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.replaceChildren(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const rows = [...table.tBodies[0].rows];
      const numeric = rows.some((r) => !Number.isNaN(number(r.cells[column].textContent)));
      const now = heading.getAttribute("aria-sort");
      // Numbers begin with the largest, words with the first of the alphabet.
      const descending = now === "none" ? numeric : now === "ascending";
      headings.forEach((each) => each.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table, column, descending);
    });
  });
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("table.sortable").forEach(makeSortable);
});
