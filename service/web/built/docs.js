"use strict";(()=>{window.SwaggerUIBundle({url:"../openapi.json",dom_id:"#docs",deepLinking:!0,displayRequestDuration:!0,validatorUrl:null});})();
