// Runs before the first paint, so that a chosen theme does not flash up in the other one.
// Not a module: modules wait until the page is parsed.
try {
  const theme = localStorage.getItem("streamviz.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage, no memory of a theme: the system's is right.
}
