"use strict";

// A button says which operation it is of, also to whoever does not see where it stands.
function nameButtons(root) {
  for (const block of root.querySelectorAll(".opblock")) {
    const method = block.querySelector(".opblock-summary-method")?.textContent.trim();
    const path = block.querySelector(".opblock-summary-path")?.dataset.path;
    for (const button of block.querySelectorAll("button.execute, button.try-out__btn, button.btn-clear")) {
      const label = `${button.textContent.trim()} ${method} ${path}`;
      if (button.getAttribute("aria-label") !== label) {
        button.setAttribute("aria-label", label);
      }
    }
  }
}

const root = document.getElementById("swagger-ui");
new MutationObserver(() => nameButtons(root)).observe(root, { childList: true, subtree: true });

SwaggerUIBundle({
  domNode: root,
  url: "openapi.json",
  validatorUrl: null,
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  requestSnippetsEnabled: true,
});
