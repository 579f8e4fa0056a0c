// The page's own JavaScript: modules for a current browser, no bundler, Bokeh from the page.
import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    languageOptions: {
      ecmaVersion: 2022,
      sourceType: "module",
      globals: { ...globals.browser, Bokeh: "readonly" },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "consistent-return": "error",
      "curly": ["error", "multi-line"],
      "eqeqeq": ["error", "always", { null: "ignore" }],
      "no-implicit-globals": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
      "no-var": "error",
      "prefer-const": "error",
      // Names come from outside and are text everywhere; nothing here is ever run or parsed as HTML.
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Use textContent: names come from outside." },
        { property: "outerHTML", message: "Use textContent: names come from outside." },
        { property: "insertAdjacentHTML", message: "Use append: names come from outside." },
        { object: "document", property: "write", message: "Use append." },
      ],
    },
  },
];
