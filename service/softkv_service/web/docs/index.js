/** The API's documentation: Swagger UI over our own /openapi.json, with nothing from elsewhere. */

/** The path of a call, as text: a link inside the button that opens the call would be a second control. @param {{text: any}} name */
const DeepLink = ({ text }) => text;

window.SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
  plugins: [{ components: { DeepLink } }],
  onComplete: () => {
    const about = document.querySelector(".information-container");
    about?.setAttribute("role", "banner");
    about?.append(Object.assign(document.createElement("h2"), { textContent: "Calls" }));
  },
});
