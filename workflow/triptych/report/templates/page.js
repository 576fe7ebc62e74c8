"use strict";
// Downloads come from what the page already holds: nothing is fetched.
function save(address, name) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name.replace(/[^A-Za-z0-9._-]+/g, "-");
  link.click();
}
for (const button of document.querySelectorAll(".save.picture")) {
  button.hidden = false;
  const image = button.closest("figure").querySelector("img");
  button.setAttribute("aria-label", "Download figure " + button.dataset.name);
  button.addEventListener("click", () => save(image.src, button.dataset.name));
}
function quote(text) {
  return '"' + text.replaceAll('"', '""') + '"';
}
for (const button of document.querySelectorAll(".save.csv")) {
  button.hidden = false;
  const table = button.closest("table");
  button.setAttribute("aria-label", "Download table " + button.dataset.name);
  button.addEventListener("click", () => {
    const lines = [...table.rows].map((row) => [...row.cells].map((cell) => quote(cell.innerText)).join(","));
    save("data:text/csv;charset=utf-8," + encodeURIComponent(lines.join("\n") + "\n"), button.dataset.name + ".csv");
  });
}
// Closed details do not print: open them for the printer.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((entry) => { entry.open = true; }));
