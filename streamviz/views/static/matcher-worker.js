// Tries a pattern on names, beside the page: matcher.js ends it when it takes too long.

addEventListener("message", ({ data: { asked, pattern, names } }) => {
  postMessage({ asked, begun: true });
  const expression = new RegExp(pattern, "i");
  postMessage({ asked, names: names.filter((/** @type {string} */ name) => expression.test(name)) });
});
