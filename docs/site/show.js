// The description of the API, beside this script, as a reference: nothing is sent.
window.SwaggerUIBundle({
  url: new URL("openapi.json", document.currentScript.src).href,
  dom_id: "#description",
  deepLinking: true,
  supportedSubmitMethods: [],
  validatorUrl: null,
});
