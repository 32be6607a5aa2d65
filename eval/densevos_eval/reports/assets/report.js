// A click on a heading sorts the table by its column, the second click the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    table.querySelectorAll("th").forEach((heading, column) => {
        if (!heading.textContent) return;
        const button = document.createElement("button");
        button.append(...heading.childNodes);
        heading.append(button);
        button.addEventListener("click", () => {
            const descending = heading.getAttribute("aria-sort") === "ascending";
            table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
            heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
            const text = row => row.cells[column].textContent;
            const order = (a, b) => text(a).localeCompare(text(b), "en", { numeric: true });
            const number = (a, b) => parseFloat(text(a)) - parseFloat(text(b)) || order(a, b);
            const rows = [...body.rows].sort(column ? number : order);
            body.append(...(descending ? rows.reverse() : rows));
        });
    });
}

// What is wider than the page says so, and fades at the side on which more of it lies.
for (const box of document.querySelectorAll(".scroll")) {
    const mark = () => {
        box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1);
        box.classList.toggle("cut", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
    };
    box.addEventListener("scroll", mark, { passive: true });
    new ResizeObserver(mark).observe(box);
    mark();
}
