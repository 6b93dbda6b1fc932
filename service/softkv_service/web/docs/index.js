/** The API's documentation: Swagger UI over our own /openapi.json, with nothing from elsewhere. */

/** The path of a call, as text: a link inside the button that opens the call would be a second control. @param {{text: any}} name */
const DeepLink = ({ text }) => text;

/**
 * The description of the API, with a heading and a place in the page: below the calls, which a reader looks for first.
 *
 * @param {any} Models the component that Swagger UI shows below the calls
 * @param {any} system
 */
const AboveModels = (Models, { React, getComponent, specSelectors }) =>
  /** @param {object} props */
  function Conventions(props) {
    const { createElement, Fragment } = React;
    const source = specSelectors.info().get("description");
    const text = createElement(getComponent("Markdown", true), { source });
    const heading = createElement("h3", null, "Conventions");
    return createElement(Fragment, null, createElement("section", { id: "conventions", className: "wrapper" }, heading, text), createElement(Models, props));
  };

/** Swagger UI would show the description above the calls. */
const noDescription = () => () => "";

window.SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
  plugins: [
    {
      components: { DeepLink },
      wrapComponents: { Models: AboveModels },
      statePlugins: { spec: { wrapSelectors: { selectInfoDescriptionField: noDescription } } },
    },
  ],
  onComplete: () => {
    const about = document.querySelector(".information-container");
    about?.setAttribute("role", "banner");
    about?.append(Object.assign(document.createElement("h2"), { textContent: "Calls" }));
  },
});
