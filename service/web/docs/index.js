/** The API's documentation: Swagger UI over our own /openapi.json, with nothing from elsewhere. */

window.SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
