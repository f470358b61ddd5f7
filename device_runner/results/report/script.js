"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);

  // the toggle says what is not already so; nothing is kept: a file has no storage of its own
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.getElementById("scheme");
  const scheme = () => root.dataset.scheme || (dark.matches ? "dark" : "light");
  const say = () => { toggle.textContent = scheme() === "dark" ? "Light colours" : "Dark colours"; };
  toggle.hidden = false;
  toggle.addEventListener("click", () => { root.dataset.scheme = scheme() === "dark" ? "light" : "dark"; say(); });
  dark.addEventListener("change", say);
  say();

  // what a mark is, in words, where a finger or the keyboard cannot hover
  const detail = document.getElementById("detail");
  function tell(mark) {
    const run = mark && data.runs[mark.dataset.run];
    detail.hidden = !run;
    if (run) detail.textContent = run.text;
  }
  for (const mark of document.querySelectorAll("a.mark")) {
    mark.addEventListener("focus", () => tell(mark));
    mark.addEventListener("mouseenter", () => tell(mark));
    mark.addEventListener("blur", () => tell(null));
    mark.addEventListener("mouseleave", () => tell(null));
  }

  // a link to a run opens it
  function open() {
    const run = /^#run[0-9]+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (!run) return;
    run.open = true;
    run.scrollIntoView();
    run.querySelector("summary").focus({preventScroll: true});
  }
  addEventListener("hashchange", open);
  open();

  const bodyOf = (table) => table.tBodies[0];
  function sort(button) {
    const head = button.closest("th"), table = button.closest("table"), column = Number(button.dataset.column);
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const numeric = head.classList.contains("number");
    const key = (row) => {
      const value = row.cells[column].dataset.sort;
      return value === undefined ? null : numeric ? Number(value) : value;
    };
    const rows = Array.from(bodyOf(table).rows, (row, at) => ({row, at, value: key(row)}));
    rows.sort((a, b) => {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || a.at - b.at;
      const order = numeric ? a.value - b.value : a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
      return (down ? -order : order) || a.at - b.at;
    });
    bodyOf(table).append(...rows.map((each) => each.row));
  }
  for (const button of document.querySelectorAll("button.sort")) button.addEventListener("click", () => sort(button));

  for (const input of document.querySelectorAll("input[data-table]")) {
    const table = document.getElementById(input.dataset.table);
    const count = document.getElementById(input.dataset.table + "-count");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of bodyOf(table).rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      const all = bodyOf(table).rows.length;
      count.textContent = shown === all ? all + " runs" : shown + " of " + all + " runs";
    });
  }

  // a cell that a spreadsheet would take for a formula is made text of
  const cell = (text) => '"' + (/^[=+\-@\t\r]/.test(text) ? "'" + text : text).replaceAll('"', '""') + '"';
  for (const button of document.querySelectorAll("button.csv")) {
    button.addEventListener("click", () => {
      const table = document.getElementById(button.dataset.table);
      const rows = [table.tHead.rows[0], ...Array.from(bodyOf(table).rows).filter((row) => !row.hidden)];
      const text = rows.map((row) => Array.from(row.cells, (each) => cell(each.textContent)).join(",")).join("\r\n");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text + "\r\n"], {type: "text/csv"}));
      link.download = "runs.csv";
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }
  for (const button of document.querySelectorAll("button.csv")) button.hidden = false;
  for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;

  // what is closed on a screen is wanted on paper
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of closed) each.open = false; });
})();
